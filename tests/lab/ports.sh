# shellcheck shell=bash
# Every port of the lab, all on 127.0.0.1. LAB_PORT_OFFSET shifts them together, for a second lab beside the first.
# They lie below 32768, where Linux begins to hand out ports for outgoing connections.

declare -A BASE_PORTS=(
  [etcd]=22379 [etcd-peer]=22380 [kube-apiserver]=26443 [kube-controller-manager]=20257 [kube-scheduler]=20259
  [rabbitmq]=25671 [rabbitmq-distribution]=25673 [rabbitmq-epmd]=24369 [memcached]=21211
  [keystone]=25000 [glance]=29292 [placement]=28778 [neutron]=29696 [nova]=28774 [nova-console]=26080 [cinder]=28776
  [heat]=28004 [heat-cfn]=28000
  [octavia]=29876 [octavia-health]=25555 [barbican]=29311 [manila]=28786
  [swift]=28080 [swift-account]=26201 [swift-container]=26202 [swift-object]=26203
  [aodh]=28042 [gnocchi]=28041 [designate]=29001 [designate-mdns]=25354 [mistral]=28989 [magnum]=29511
  [argocd-redis]=22500 [argocd-repo-server]=22501 [argocd-repo-metrics]=22502 [argocd-controller]=22503
  [gitops-artifacts]=22504 [flux-metrics]=22505 [flux-kustomize]=22506
)

# port NAME: the port's number in this lab.
port() { echo $((BASE_PORTS[$1] + LAB_PORT_OFFSET)); }
