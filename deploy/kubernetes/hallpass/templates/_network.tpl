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
    - protocol: TCP
      port: {{ ternary 5432 .database.port .database.cluster.enabled }}
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
