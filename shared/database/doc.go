// Package database opens SQLite or PostgreSQL for a store that runs the same SQL text on both.
//
// Placeholders are $1, $2, and times are Unix seconds in BIGINT columns. [Engine] covers the other
// differences between the engines.
//
// Every call has a time limit, which holds even if the server stops responding, and fails with
// [ErrUnavailable] if the database does. Writes to SQLite that arrive at the same time are committed
// together, with one sync to disk. [DB.Migrate] brings the schema up to date, also while servers of the
// previous version run.
package database
