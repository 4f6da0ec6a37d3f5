#!/usr/bin/env node
// npm links to programs that are there when it installs, which is before this one is built.
import '../dist/cli/main.js';
