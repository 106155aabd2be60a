package adminapi

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

// ProblemOf returns the problem document that a client of the API would get for an error of an operation. It is for
// callers in process, such as the console. Its detail may be shown.
func ProblemOf(err error) *humaapi.Problem {
	var p *humaapi.Problem
	if errors.As(asProblem(err), &p) {
		return p
	}
	status := http.StatusInternalServerError
	var known huma.StatusError
	if errors.As(err, &known) {
		status = known.GetStatus()
	}
	return humaapi.NewProblem(status, http.StatusText(status), err)
}
