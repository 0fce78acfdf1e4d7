#!/bin/sh
# Makes the folders that the containers write to, for the user that they run as.
#
#     sh docker/folders.sh UID FOLDER...
#
# A named volume that is empty takes over owner and mode of the folder that it is mounted on.
set -eu

owner=$1
shift
install -d -m 0700 -o "$owner" -g "$owner" "$@"
