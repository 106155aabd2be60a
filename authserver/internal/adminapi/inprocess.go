package adminapi

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// ProblemOf returns the problem document that a client of the API would get for an error of an operation. It is for
// callers in process, such as the console. Its detail may be shown.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(asProblem(err), &p) {
		return p
	}
	status := http.StatusInternalServerError
	var known huma.StatusError
	if errors.As(err, &known) {
		status = known.GetStatus()
	}
	return &Problem{Document: problem.New(status, http.StatusText(status)), cause: err}
}
