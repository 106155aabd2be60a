// Package kubernetes tests the Helm chart of Hallpass in the folder hallpass. The tests render it with the values of
// testdata/values, decode each object strictly into the type of its API, and check rules that hold for all of them:
// pod security, who may talk to whom, settings, Secrets, probes. They need no cluster.
//
// The module is not a part of a server, because Helm and the types of Kubernetes are large.
package kubernetes
