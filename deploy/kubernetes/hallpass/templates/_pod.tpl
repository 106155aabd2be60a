{{/* What all pods have in common: restricted pod security, and no token of Kubernetes. */}}

{{- define "hallpass.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # So that the program can read Secrets, which others cannot.
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "hallpass.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* A file of a Secret. Takes the name of the volume, the Secret, its entry and the name of the file. */}}
{{- define "hallpass.secretVolume" -}}
- name: {{ .volume }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: {{ .file }}
{{- end }}

{{/* Takes a component. */}}
{{- define "hallpass.probes" -}}
# The schema may be migrated first, if there was no Job.
startupProbe:
  httpGet:
    path: /healthz
    port: admin
  periodSeconds: 2
  failureThreshold: 300
livenessProbe:
  httpGet:
    path: /healthz
    port: admin
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 2
  timeoutSeconds: 5
  {{- if eq .component "authserver" }}
  # All servers share one database. While it fails over, they respond with 503 and Retry-After, and publish keys: they
  # stay in the Service for half a minute. A pod that stops leaves it at once.
  failureThreshold: 15
  {{- else }}
  failureThreshold: 2
  {{- end }}
{{- end }}

{{- define "hallpass.placement" -}}
{{- with .tier.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tier.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.tier.spread }}
    labelSelector:
      matchLabels:
        {{- include "hallpass.selector" $ | nindent 8 }}
    # Old and new pods are counted apart during a rolling update.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
