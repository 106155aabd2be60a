{{/* Egress rules of the NetworkPolicies. */}}

{{- define "hallpass.toDNS" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
{{- end }}

{{/* The ports of a database, as a list in JSON: those of its URL, unless one is set. */}}
{{- define "hallpass.databasePorts" -}}
{{- $ports := list -}}
{{- if .cluster.enabled -}}
{{- $ports = list 5432 -}}
{{- else if .port -}}
{{- $ports = list (int .port) -}}
{{- else -}}
{{- range splitList "," (regexReplaceAll "^[^@]*@([^/]*)/.*$" .url "${1}") -}}
{{- $ports = append $ports (trimPrefix ":" (regexFind ":[0-9]+$" .) | default "5432" | int) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end }}

{{- define "hallpass.toDatabase" -}}
- to:
    {{- if .database.cluster.enabled }}
    - podSelector:
        matchLabels:
          cnpg.io/cluster: {{ include "hallpass.name" .root }}-{{ .name }}
    {{- else }}
    {{- toYaml .database.peers | nindent 4 }}
    {{- end }}
  ports:
    {{- range include "hallpass.databasePorts" .database | fromJsonArray }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end }}

{{- define "hallpass.toKubernetes" -}}
- to:
    - ipBlock:
        cidr: {{ .Values.networkPolicy.kubernetesAPI.cidr }}
  ports:
    {{- range .Values.networkPolicy.kubernetesAPI.ports }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end }}

{{- define "hallpass.fromPrometheus" -}}
{{- with .Values.networkPolicy.prometheusFrom }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - protocol: TCP
      port: admin
{{- end }}
{{- end }}
