package problem_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

func ExampleWrite() {
	w := httptest.NewRecorder()
	problem.Write(w, http.StatusNotFound, "There is no such report")
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	fmt.Println(w.Body)
	// Output:
	// 404 application/problem+json
	// {"title":"Not Found","status":404,"detail":"There is no such report"}
}
