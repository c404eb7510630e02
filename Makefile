# Every target does its own set-up. As root on Debian it installs what is
# missing; otherwise it says what to install and stops. What each does is in
# scripts/, in the file of the same name.

.PHONY: run build test check generate bench soak tidy clean help

help:    ; @sed -n 's/^\([a-z]*\): *;.*\#\# /  make \1\t/p' Makefile
run:     ; @scripts/run                ## start mailvow dev: a whole server, from which nothing leaves (ARGS="--dir data")
build:   ; @scripts/build              ## bin/mailvow with the console in it
test:    ; @scripts/test               ## every test: SQLite, PostgreSQL, S3, end to end, browser
check:   ; @scripts/check              ## the quick one: format, vet, staticcheck, floors, unit tests with -race
generate: ; @scripts/generate        ## write openapi.json, its types and the page of settings anew
bench:   ; @scripts/bench              ## messages per second beside Postfix (ARGS="-rounds 5")
soak:    ; @scripts/soak               ## kill -9 two hundred times under load
tidy:    ; @scripts/tidy               ## go mod tidy, which must not move a version
clean:   ; @scripts/clean              ## remove what the targets above have built
