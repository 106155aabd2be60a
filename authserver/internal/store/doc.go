// Package store keeps the server's data in SQLite or PostgreSQL: users, clients, APIs, grants,
// codes, sessions, consents and failed logins.
//
// Both engines run the same SQL text: placeholders are $1, $2, times are Unix seconds in BIGINT
// columns, and lists are text separated by spaces. The differences between the engines are in
// [dialect] and in package database, which opens and migrates them.
//
// What must happen exactly once is one conditional statement, and its row count decides.
//
// Writes to SQLite that arrive at the same time are committed together, with one sync to disk.
package store
