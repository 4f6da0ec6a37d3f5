#!/bin/sh
# Runs a command as a container of the image would: `image-root.sh ROOT FILES REPOSITORY NODE CAPABILITIES COMMAND…`, within
# mount and process namespaces of its own. ROOT is an empty folder, FILES what the image has besides a Debian and Node, which
# are those of this machine. Only the image's volumes and /tmp can be written to.
set -eu
root=$1 files=$2 repository=$3 node=$4 capabilities=$5
shift 5

mount -t tmpfs -o mode=0755 tmpfs "$root"
cp -R "$files/." "$root"
show() {
  mkdir -p "$root$2"
  mount --rbind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}
show /usr /usr
for name in bin sbin lib lib64; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root"; elif [ -d "/$name" ]; then show "/$name" "/$name"; fi
done
case $node in /usr/*) ;; *) show "$(dirname "$node")" "$(dirname "$node")" ;; esac
show "$repository" /src
mkdir -p "$root/dev" "$root/proc" "$root/etc"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
[ ! -e /etc/ld.so.cache ] || cp /etc/ld.so.cache "$root/etc"
printf 'root:x:0:0::/root:/bin/sh\nagent:x:10001:10001::/home/agent:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nagent:x:10001:\n' >"$root/etc/group"
for volume in /var/lib/outrigger /home/agent /work /tmp; do
  mkdir -p "$root$volume"
  mount -t tmpfs -o mode=0755 tmpfs "$root$volume"
done
chown 10001:10001 "$root/home/agent" "$root/work"
chmod 1777 "$root/tmp"
mount -o remount,ro "$root"

exec chroot "$root" setpriv --no-new-privs --inh-caps=-all --bounding-set="-all$capabilities" -- "$@"
