{{- define "orders.name" -}}
{{- if eq .Release.Name .Chart.Name -}}
{{ .Chart.Name }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What never changes: selectors. */}}
{{- define "orders.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "orders.labels" -}}
{{ include "orders.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The image of (root, colour): the colour's own tag and digest, or else the newest. */}}
{{- define "orders.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := .colour | default dict -}}
{{- $tag := $own.tag | default $image.tag -}}
{{- $digest := ternary $own.digest ($own.digest | default $image.digest) (not (empty $own.tag)) -}}
{{ $image.repository }}:{{ $tag }}{{ with $digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* The settings of one process: (root, own). Secrets by reference only. */}}
{{- define "orders.env" -}}
{{- /* Not `merge`: it takes a false or a 0 for nothing. */}}
{{- $settings := dict }}
{{- range tuple .root.Values.settings .own }}
{{- range $name, $value := . }}
{{- /* A large number is not to be written as 2.097152e+06. */}}
{{- $_ := set $settings $name (ternary (printf "%v" $value) (toJson $value) (kindIs "string" $value)) }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: ORDERS_HOST
  value: "0.0.0.0"
- name: ORDERS_PORT
  value: "8000"
- name: ORDERS_METRICS_PORT
  value: "9464"
- name: ORDERS_DRAIN_SECONDS
  value: {{ .root.Values.api.drainSeconds | quote }}
{{- range tuple "ORDERS_MONGO_URI" "ORDERS_PAYMENT_WEBHOOK_SECRET" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.root.Values.existingSecret }}, key: {{ . }}}
{{- end }}
{{- range tuple "ORDERS_PAYMENT_TOKEN" "ORDERS_RABBITMQ_URI" "ORDERS_REDIS_URI" "ORDERS_JWT_HS256_SECRET" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.root.Values.existingSecret }}, key: {{ . }}, optional: true}
{{- end }}
{{- end -}}

{{/* A pod that may nothing: (root, component). */}}
{{- define "orders.pod" -}}
automountServiceAccountToken: false
# Otherwise a Service called "orders" puts its address into ORDERS_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  # Several processes share their metrics in files.
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end -}}

{{- define "orders.spread" -}}
topologySpreadConstraints:
  {{- range tuple "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- $.selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{- define "orders.container" -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}
