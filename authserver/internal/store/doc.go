// Package store keeps users, clients, grants and failed logins in SQL.
//
// It exists so that the rest of the server knows no SQL, and the SQL knows one
// text for every engine: placeholders are $1, $2, times are seconds since 1970 in
// BIGINT columns, lists are texts separated by spaces. What the engines do not share
// is in [dialect] and nowhere else.
//
// Whatever must happen exactly once is one conditional statement whose row count
// decides; nothing reads a row to write it back.
package store
