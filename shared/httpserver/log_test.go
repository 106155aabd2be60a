package httpserver_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

func TestLoggerLevels(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "": 3} {
		var out logBuffer
		l := httpserver.NewLogger(&out, httpserver.Settings{LogFormat: "json", LogLevel: level})
		l.Debug("event")
		l.Info("event")
		l.Warn("event")
		l.Error("event")
		if got := len(out.with(t, "event")); got != want {
			t.Errorf("level %q: %d lines, want %d", level, got, want)
		}
	}
}

func TestLoggerFormats(t *testing.T) {
	for format, want := range map[string]string{
		"text": "level=ERROR msg=event a=1 g.b=2",
		"json": `"level":"ERROR","msg":"event","a":1,"g":{"b":2}`,
		"":     "level=ERROR msg=event a=1 g.b=2",
	} {
		var out logBuffer
		httpserver.NewLogger(&out, httpserver.Settings{LogFormat: format}).With("a", 1).WithGroup("g").Error("event", "b", 2)
		if !strings.Contains(out.String(), want) {
			t.Errorf("format %q: %s", format, out.String())
		}
	}
}
