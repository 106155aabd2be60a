package kubernetes_test

import (
	"strings"
	"testing"
)

// wrongValues are changes of values that work, and what the error must name.
var wrongValues = map[string]string{
	// By the schema.
	"{issuer: null}":                                          "issuer",
	"{issuer: http://login.example.com}":                      "issuer",
	"{issuer: https://login.example.com/}":                    "issuer",
	"{isuer: https://login.example.com}":                      "isuer",
	"{authserver: {replica: 3}}":                              "replica",
	"{authserver: {replicas: three}}":                         "replicas",
	"{authserver: {settings: {HALLPASS_BCRYPT_COSTS: 13}}}":   "HALLPASS_BCRYPT_COSTS",
	"{authserver: {settings: {HALLPASS_TOKEN_SECRET: x}}}":    "HALLPASS_TOKEN_SECRET",
	"{authserver: {settings: {HALLPASS_ISSUER: x}}}":          "HALLPASS_ISSUER",
	"{resourceserver: {settings: {HALLPASS_BCRYPT_COST: 1}}}": "HALLPASS_BCRYPT_COST",
	"{resourceserver: {keysURL: http://x.example}}":           "keysURL",
	"{networkPolicy: {ingressFrom: [{podSelektor: {}}]}}":     "podSelektor",
	"{networkPolicy: {ingressFrom: [{}]}}":                    "ingressFrom",
	"{networkPolicy: {dnsTo: []}}":                            "dnsTo",
	"{keys: {rotation: {schedule: monthly}}}":                 "schedule",
	"{keys: {rotation: {signsAfter: 20}}}":                    "signsAfter",
	"{stop: {drainSeconds: 2s}}":                              "drainSeconds",
	"{image: {tag: '1.0@sha256:1'}}":                          "image/tag",
	"{image: {digests: {authserver: 'sha256:1'}}}":            "digests/authserver",
	"{image: {digests: {proxy: ''}}}":                         "proxy",
	"{authserver: {settings: {HALLPASS_THEME_DIR: /theme}}}":  "HALLPASS_THEME_DIR",
	"{authserver: {maxUnavailable: '0%'}}":                    "maxUnavailable",
	"{resourceserver: {maxUnavailable: '00%'}}":               "maxUnavailable",
	"{resourceserver: {maxUnavailable: '101%'}}":              "maxUnavailable",
	"{resourceserver: {maxUnavailable: 0}}":                   "maxUnavailable",
	"{trustedProxies: [controller]}":                          "trustedProxies",
	"{ingress: {tls: true}}":                                  "tls",

	// By the templates.
	"{authserver: {database: {url: 'postgres://u:secret@h/d', cluster: {enabled: false}}}}":        "passwordSecret",
	"{authserver: {database: {url: 'host=h password=u:secret', cluster: {enabled: false}}}}":       "passwordSecret",
	"{resourceserver: {items: {database: {url: 'postgres://u:secret@h/d'}}}}":                      "passwordSecret",
	"{authserver: {mail: {url: 'smtps://u:secret@h:465', from: a@b, peers: [{podSelector: {}}]}}}": "passwordSecret",
	"{authserver: {database: {cluster: {enabled: false}}}}":                                        "authserver.database: set cluster.enabled, or url",
	"{authserver: {database: {url: 'postgres://u@h/d'}}}":                                          "authserver.database: set either",
	"{authserver: {database: {cluster: {enabled: false}, url: 'postgres://u@h/d'}}}":               "authserver.database.peers",
	"{ingress: {enabled: true}, trustedProxies: [10.0.0.0/8]}":                                     "networkPolicy.ingressFrom",
	"{ingress: {enabled: true}, networkPolicy: {enabled: false}}":                                  "trustedProxies",
	"{gateway: {enabled: true}, trustedProxies: [10.0.0.1], networkPolicy: {enabled: false}}":      "gateway.parentRefs",
	"{audience: https://login.example.com}":                                                        "audience: it must differ from issuer",
	"{keys: {apiSecret: hallpass-keys}}":                                                           "keys.apiSecret: it must differ from keys.authserverSecret",
	"{keys: {externalSecrets: {enabled: true}}}":                                                   "keys.externalSecrets.store.name",
	"{keys: {externalSecrets: {enabled: true, store: {name: vault}}}}":                             "keys.rotation.enabled",
	"{monitoring: {serviceMonitor: {enabled: true}}}":                                              "networkPolicy.prometheusFrom",
	"{authserver: {mail: {url: 'smtps://m:465'}}}":                                                 "authserver.mail.peers",
	"{authserver: {mail: {url: 'smtps://m:465', peers: [{podSelector: {}}]}}}":                     "authserver.mail.from",
	"{authserver: {autoscaling: {enabled: true, maxReplicas: 1}}}":                                 "authserver.autoscaling.maxReplicas",
	"{resourceserver: {dpopNonceSecret: {name: x}}}":                                               "resourceserver.dpopNonceSecret",

	"{authserver: {database: {url: 'postgres://u@h/d?port=5433', cluster: {enabled: false}}}}":     "authserver.database.url",
	"{authserver: {database: {url: 'postgres://u@h/d?a=b&host=x', cluster: {enabled: false}}}}":    "authserver.database.url",
	"{authserver: {database: {url: 'postgres://u@h/d?sslpassword=x', cluster: {enabled: false}}}}": "authserver.database.url",
	"{resourceserver: {keysURL: https://login.example.com/jwks.json}}":                             "resourceserver.extraEgress",
	"{monitoring: {otlpEndpoint: 'http://c:4318'}, resourceserver: {extraEgress: [{}]}}":           "authserver.extraEgress",
	"{monitoring: {otlpEndpoint: 'http://c:4318'}, authserver: {extraEgress: [{}]}}":               "resourceserver.extraEgress",
	"{authserver: {outgoingHTTPS: true}, monitoring: {otlpEndpoint: 'https://c:4318'}}":            "authserver.extraEgress",
	"{authserver: {outgoingHTTPS: true}, monitoring: {otlpEndpoint: 'https://c.example'}}":         "resourceserver.extraEgress",

	"{authserver: {settings: {HALLPASS_SIGNUP: open}}}":                                                     "authserver.mail.url",
	"{authserver: {settings: {HALLPASS_SIGNUP: invitation}}}":                                               "authserver.mail.url",
	"{authserver: {settings: {HALLPASS_SIGNUP_DOMAINS: example.com}}}":                                      "HALLPASS_SIGNUP: open",
	"{authserver: {settings: {HALLPASS_REGISTRATION: token}}}":                                              "authserver.registrationTokenSecret.name",
	"{authserver: {registrationTokenSecret: {name: x}}}":                                                    "HALLPASS_REGISTRATION: token",
	"{authserver: {registrationTokenSecret: {name: x}, settings: {HALLPASS_REGISTRATION: open}}}":           "HALLPASS_REGISTRATION: token",
	"{authserver: {settings: {HALLPASS_ADMIN_NETWORKS: 10.0.0.0/8}}}":                                       "HALLPASS_ADMIN_CONSOLE",
	"{authserver: {settings: {HALLPASS_ADMIN_WITHOUT_SECOND_FACTOR: true, HALLPASS_ADMIN_CONSOLE: false}}}": "HALLPASS_ADMIN_CONSOLE",
	"{authserver: {settings: {HALLPASS_CLIENT_DOCUMENTS: all}}}":                                            "authserver.outgoingHTTPS",
	"{authserver: {settings: {HALLPASS_CLIENT_DOCUMENTS: app.example}}}":                                    "authserver.outgoingHTTPS",
	"{networkPolicy: {databaseOperatorFrom: []}}":                                                           "networkPolicy.databaseOperatorFrom",
	"{networkPolicy: {databaseOperatorFrom: null}}":                                                         "networkPolicy.databaseOperatorFrom",
	"{keys: {rotation: {signsAfter: 1s}}}":                                                                  "keys.rotation.signsAfter",
	"{keys: {rotation: {signsAfter: 1m59s}}}":                                                               "keys.rotation.signsAfter",

	replicaAt("postgres://u:secret@r/d"):            "passwordSecret",
	replicaAt("postgres://u@r/d?password=u:secret"): "passwordSecret",
	replicaAt("postgres://u@r/d?host=other"):        "HALLPASS_DATABASE_REPLICA_URL",
	replicaAt("host=r password=u:secret"):           "HALLPASS_DATABASE_REPLICA_URL",
	replicaAt("postgres://u@r1,r2/d"):               "HALLPASS_DATABASE_REPLICA_URL",

	onePostgreSQL("u", "d", "10.0.0.2/32"): "must differ from authserver.database.url",
	onePostgreSQL("i", "i", "10.0.0.1/32"): "resourceserver.items.database.peers",
}

// onePostgreSQL returns values with the users in database d at 10.0.0.1, and the items as given.
func onePostgreSQL(user, database, cidr string) string {
	return `{authserver: {database: {cluster: {enabled: false}, url: 'postgres://u@h/d', peers: [
		{ipBlock: {cidr: 10.0.0.1/32}}]}}, resourceserver: {items: {database: {url: 'postgres://` +
		user + "@h/" + database + "', peers: [{ipBlock: {cidr: " + cidr + "}}]}}}}"
}

// replicaAt returns values with a replica of the users' database.
func replicaAt(url string) string {
	return "{authserver: {settings: {HALLPASS_DATABASE_REPLICA_URL: '" + url + "'}}}"
}

// TestWrongValuesAreRefused changes values that work. The error must name the value.
func TestWrongValuesAreRefused(t *testing.T) {
	for change, want := range wrongValues {
		_, err := template(t, changed(t, "testdata/values/minimal.yaml", change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one that names %q", change, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:secret") {
			t.Errorf("%s: the error has the password: %v", change, err)
		}
	}
}

// TestRightValuesAreAccepted changes values that work to others that work, near to those of wrongValues.
func TestRightValuesAreAccepted(t *testing.T) {
	const extraEgress = "extraEgress: [{ports: [{protocol: TCP, port: 443}]}]"
	for _, change := range []string{
		"{authserver: {maxUnavailable: 10%}, resourceserver: {maxUnavailable: 100%}}",
		"{authserver: {settings: {HALLPASS_SIGNUP: 'off', HALLPASS_REGISTRATION: open, HALLPASS_CLIENT_DOCUMENTS: ''}}}",
		"{authserver: {settings: {HALLPASS_ADMIN_NETWORKS: 10.0.0.0/8, HALLPASS_ADMIN_CONSOLE: true}}}",
		"{authserver: {settings: {HALLPASS_CLIENT_DOCUMENTS: all}, outgoingHTTPS: true}}",
		"{authserver: {settings: {HALLPASS_CLIENT_DOCUMENTS: all}, " + extraEgress + "}}",
		"{authserver: {settings: {HALLPASS_CLIENT_DOCUMENTS: all}}, networkPolicy: {enabled: false}}",
		"{networkPolicy: {enabled: false, databaseOperatorFrom: []}}",
		"{keys: {rotation: {signsAfter: 2m}}}",
		"{keys: {rotation: {signsAfter: 1m30s30s}}}",
		"{keys: {rotation: {signsAfter: 1s, enabled: false}}}",
	} {
		if _, err := template(t, changed(t, "testdata/values/minimal.yaml", change)); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// TestNotes checks that the notes name the Secrets to make, and warn of what is open.
func TestNotes(t *testing.T) {
	const anyAddress, asymmetric = "networkPolicy.kubernetesAPI.cidr", "key init --algorithm EdDSA"
	for _, test := range []struct {
		changes      string
		want, absent []string
	}{
		{
			"{networkPolicy: {enabled: false}}",
			[]string{"hallpass-keys", "hallpass-api-keys", namespace, "Nothing is published", "admin ports"},
			[]string{anyAddress},
		},
		{"{}", []string{anyAddress}, []string{"admin ports", asymmetric}},
		{"{networkPolicy: {kubernetesAPI: {cidr: 10.0.0.1/32}}}", nil, []string{anyAddress}},
		{
			"{resourceserver: {keysURL: 'https://login.example.com/jwks.json', extraEgress: [{}]}}",
			[]string{"https://login.example.com/jwks.json", asymmetric},
			[]string{"hallpass-api-keys"},
		},
	} {
		texts, err := template(t, changed(t, "testdata/values/minimal.yaml", test.changes))
		if err != nil {
			t.Fatal(err)
		}
		notes := texts["hallpass/templates/NOTES.txt"]
		for _, want := range test.want {
			if !strings.Contains(notes, want) {
				t.Errorf("%s: the notes lack %q:\n%s", test.changes, want, notes)
			}
		}
		for _, absent := range test.absent {
			if strings.Contains(notes, absent) {
				t.Errorf("%s: the notes have %q:\n%s", test.changes, absent, notes)
			}
		}
	}
}
