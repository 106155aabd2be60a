package postgrestest

import "syscall"

// dieWithParent makes the kernel stop the server when the program that started it
// ends, even if that program is killed before it can call Close.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
