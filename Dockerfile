# CPU:  docker build -t clip-prompts .
# CUDA: docker build -t clip-prompts --build-arg DEVICE=cuda .
# Demo: docker run --rm clip-prompts
# Your datasets, weights and results on the host, on all GPUs:
#   docker run --rm --gpus all --shm-size 8g -e DATA=/datasets -v /path/to/datasets:/datasets \
#       -v ~/.cache:/root/.cache -v "$PWD/output":/toolbox/output clip-prompts bash scripts/base2new.sh CoOp oxford_pets
FROM python:3.12-slim
ARG DEVICE=cpu
ENV PIP_NO_CACHE_DIR=1
WORKDIR /toolbox
COPY . .
RUN if [ "$DEVICE" = cpu ]; then pip install --no-deps torch torchvision --index-url https://download.pytorch.org/whl/cpu; fi
RUN pip install -r requirements.txt
CMD ["bash", "scripts/demo.sh"]
