#!/bin/sh
# Runs a command in a tree of another system. Called by arm64.sh as root, in a mount namespace of its own.
#   enter_tree.sh TREE REPOSITORY DIRECTORY METADATA COMMAND [ARGUMENT ...]
set -eu
tree="$1" repository="$2" directory="$3" metadata="$4"
shift 4

mount --make-rprivate /
for shown in /proc /sys /dev /tmp "$repository" "$directory"; do
    mkdir -p "$tree$shown"
    mount --rbind "$shown" "$tree$shown"
done
touch "$tree/etc/resolv.conf"
mount --bind /etc/resolv.conf "$tree/etc/resolv.conf"
# Plugins are found by the metadata of an installed project.
mkdir -p "$tree/opt/bonsai-edge/metadata"
mount -t tmpfs none "$tree/opt/bonsai-edge/metadata"
mkdir "$tree/opt/bonsai-edge/metadata/$(basename "$metadata")"
mount --bind "$metadata" "$tree/opt/bonsai-edge/metadata/$(basename "$metadata")"
exec chroot "$tree" sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
