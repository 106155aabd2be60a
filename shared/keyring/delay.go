package keyring

import "time"

// SigningDelay returns how long a new key of the algorithm should be known to its verifiers before it
// signs. It depends on who verifies:
//
//   - HS256: only servers that have the secret. They read a keys file every 2 seconds, so 5 minutes are
//     for the people or programs that copy the file to other machines.
//   - The others: also programs that cache the published JWK Set. Many fetch it again only after a
//     quarter of an hour, even for a kid that they do not know. So the delay is 20 minutes.
func SigningDelay(algorithm string) time.Duration {
	if algorithm == HS256 {
		return 5 * time.Minute
	}
	return 20 * time.Minute
}
