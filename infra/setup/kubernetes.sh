#!/bin/sh
# Builds a Kubernetes without nodes in the directory $1, for ORDERS_TEST_KUBERNETES: the real API
# server, controllers and scheduler, kubectl and Helm, and kwok, which simulates the nodes. Needs
# Go; takes about twenty minutes on two cores. Go's checksum database verifies every download.
set -eu
directory=$(mkdir -p "$1" && cd "$1" && pwd)
kubernetes=1.37.1 etcd=v3.7.3 kwok=v0.8.0 helm=v4.3.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod GOBIN="$directory"

go install "helm.sh/helm/v4/cmd/helm@$helm"
go install "sigs.k8s.io/kwok/cmd/kwok@$kwok"
stages=$(go mod download -json "sigs.k8s.io/kwok@$kwok" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/kustomize/stage
for stage in node/fast/node-initialize node/heartbeat/node-heartbeat \
    pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    echo ---
    cat "$stages/$stage.yaml"
done >"$directory/stages.yaml"

mkdir "$work/etcd" && cd "$work/etcd"
go mod init build 2>/dev/null
cat >main.go <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
go get "go.etcd.io/etcd/server/v3@$etcd"
go mod tidy
go build -o "$directory/etcd" .

# Its go.mod uses parts in the same repository; they are published as modules of the same version.
mkdir "$work/kubernetes" && cd "$work/kubernetes"
go mod init build 2>/dev/null
source=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
for part in $(sed -n 's|^\t\(k8s.io/[a-z0-9-]*\) => ./staging/.*|\1|p' "$source/go.mod"); do
    go mod edit -replace "$part=$part@v0.${kubernetes#1.}"
done
go mod edit -require "k8s.io/kubernetes@v$kubernetes"
version=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    version="$version -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1"
    version="$version -X $package.gitMinor=37 -X $package.gitTreeState=clean"
done
for program in kubectl kube-apiserver kube-controller-manager kube-scheduler; do
    go build -ldflags "$version" -o "$directory/$program" "k8s.io/kubernetes/cmd/$program"
done
