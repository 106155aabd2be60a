// Package vectors makes and checks the test vectors of the API kits: deploy/kit/vectors/vectors.json. It has
// tests only. They hold shared/bearer to the vectors, as the tests of the other kits do with theirs, so the kits
// cannot differ.
//
// After a change of the cases: go test ./deploy/e2e/vectors -update
package vectors
