import { readFileSync } from 'node:fs';
import { findExecutable } from '../process/executable.js';
import { OptionError } from './option-error.js';

/** The user runs are started as. */
export interface RunUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/**
 * Looks a user up in passwd(5), by name or number.
 *
 * @throws OptionError when there is no such user, it is root or the sidecar's own, or the sidecar may not change users.
 */
export function findUser(nameOrUid: string): RunUser {
  const option = `--run-as ${nameOrUid}`;
  const fields = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name, , uid]) => name === nameOrUid || uid === nameOrUid);
  if (fields === undefined) throw new OptionError(`${option}: there is no such user`);
  const [name = '', , uid = '', gid = '', , home = '/', shell = '/bin/sh'] = fields;
  if (process.getuid?.() !== 0) throw new OptionError(`${option}: only a sidecar started as root can change users`);
  if (uid === '0') throw new OptionError(`${option}: root could read all the sidecar has; name another user`);
  if (findExecutable('setpriv', process.env['PATH']) === null) {
    throw new OptionError(`${option}: needs setpriv, of the package util-linux`);
  }
  return { name, uid: Number(uid), gid: Number(gid), home, shell };
}
