package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pythonKit is the folder of the Python package.
var pythonKit = filepath.Join(root, "deploy", "kit", "python")

// needFastAPI skips a test if the libraries of the Python kit are not installed.
func needFastAPI(t *testing.T) {
	t.Helper()
	needPython(t, "jwt", "python3-jwt")
	needPython(t, "cryptography", "python3-cryptography")
	needPython(t, "fastapi", "python3-fastapi")
	needPython(t, "uvicorn", "python3-uvicorn")
}

// The Python kit passes its own tests, the test vectors among them.
func TestPythonKitUnits(t *testing.T) {
	t.Parallel()
	needFastAPI(t)
	units := exec.CommandContext(t.Context(), python, "-m", "unittest")
	units.Dir = pythonKit
	units.Env = cleanEnv("PYTHONDONTWRITEBYTECODE=1")
	out, err := units.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nOK") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The Python kit has complete types.
func TestPythonKitTypes(t *testing.T) {
	longTest(t)
	t.Parallel()
	needFastAPI(t)
	if _, err := exec.LookPath("mypy"); err != nil {
		leftOut(t, "the types of the Python kit, which need mypy")
	}
	types := exec.CommandContext(t.Context(), "mypy", "--cache-dir", "/dev/null", "--python-executable", python,
		"hallpass", "tests", "bench.py")
	types.Dir = pythonKit
	if out, err := types.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An API with the Python kit and FastAPI, over time.
func TestPythonKit(t *testing.T) {
	longTest(t)
	needFastAPI(t)
	testKit(t, kitAPI{"FastAPI", func(t *testing.T, address string, settings map[string]string) *process {
		t.Helper()
		return startFastAPI(t, python, filepath.Join("kit", "fastapi_app.py"), address,
			map[string]string{"PYTHONPATH": absolute(t, pythonKit)}, settings)
	}})
}

// startFastAPI starts the application app in a file, with an interpreter that has uvicorn.
func startFastAPI(
	t *testing.T, interpreter, file, address string, environment ...map[string]string,
) *process {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	module := strings.TrimSuffix(filepath.Base(file), ".py")
	cmd := exec.Command(interpreter, "-m", "uvicorn", module+":app", "--host", host, "--port", port)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = cleanEnv("PYTHONDONTWRITEBYTECODE=1")
	for _, settings := range environment {
		for name, value := range settings {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return launch(t, "uvicorn "+module, cmd)
}

// absolute returns the absolute path of a file.
func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
