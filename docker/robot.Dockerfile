# The robot computer: ROS 2 Jazzy with every package built against it. Context: the repository root.
FROM ros:jazzy-ros-base-noble

RUN apt-get update && apt-get install -y --no-install-recommends \
        build-essential python3-venv python3-pip python3-numpy libegl1 libgl1-mesa-dri \
        ros-jazzy-control-msgs ros-jazzy-trajectory-msgs ros-jazzy-diagnostic-msgs \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lam-ros
COPY . .
RUN . /opt/ros/jazzy/setup.sh && make setup

# Containers on one host share the network and the shared memory that Fast DDS sends images through.
ENTRYPOINT ["/lam-ros/docker/enter.sh"]
CMD ["lam", "launch", "sim.launch.xml"]
