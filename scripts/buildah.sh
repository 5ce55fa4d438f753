# shellcheck shell=bash
# How the scripts beside this one call buildah; `store` is the folder of its images.

run_buildah() {
    buildah --storage-driver "${IMAGE_DRIVER:-overlay}" \
        --root "${store:?}/root" --runroot "$store/run" "$@"
}
