package postgrestest

import "syscall"

// dieWithParent makes the kernel end the server with the test program, even with one
// that is killed and cannot call Close.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
