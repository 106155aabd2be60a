package audit

// NewExporter and Neutral are newExporter and neutral.
var (
	NewExporter = newExporter
	Neutral     = neutral
)
