package console

// chart is a picture of the last day.
type chart struct{}
