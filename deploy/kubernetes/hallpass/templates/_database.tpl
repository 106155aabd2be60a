{{/* The spec of a cluster of CloudNativePG. */}}

{{/* What the chart sets. Takes the cluster, and clients: how many connections the pods open. */}}
{{- define "hallpass.clusterSpec" -}}
instances: {{ .cluster.instances }}
{{- with .cluster.imageName }}
imageName: {{ . }}
{{- end }}
storage:
  size: {{ .cluster.storage }}
  {{- with .cluster.storageClass }}
  storageClass: {{ . }}
  {{- end }}
postgresql:
  parameters:
    # Twice the pods: those of an update start while those before finish their requests. 20 are for CloudNativePG.
    max_connections: {{ max 100 (add 20 .clients) | quote }}
{{- if gt (int .cluster.instances) 1 }}
  # What was acknowledged is on a standby, too: a failover loses nothing.
  synchronous:
    method: any
    number: 1
affinity:
  enablePodAntiAffinity: true
  topologyKey: kubernetes.io/hostname
{{- end }}
{{- end }}

{{/*
How a cluster begins: with initdb, or as cluster.spec says. The servers' URL has the database and its owner, and
CloudNativePG makes the Secret with the password for that owner, in a recovery too.
*/}}
{{- define "hallpass.clusterBootstrap" -}}
{{- $names := dict "database" "hallpass" "owner" "hallpass" -}}
{{- range $method, $fields := get (. | default dict) "bootstrap" | default (dict "initdb" dict) -}}
{{- toYaml (dict $method (merge (deepCopy ($fields | default dict)) $names)) }}
{{ end -}}
{{- end }}

{{/* Sets in base, a map, what over has. Maps in both are merged; anything else, such as a list or false, replaces. */}}
{{- define "hallpass.overlay" -}}
{{- $base := .base -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "hallpass.overlay" (dict "base" (get $base $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}
