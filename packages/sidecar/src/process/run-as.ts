import { type RunUser } from '../options/user.js';

/**
 * What goes before a command to run it as another user, who cannot become a third one: no set-user-ID program, sudo
 * among them, gains anything.
 */
export function userPrefix(user: RunUser | null): readonly string[] {
  if (user === null) return [];
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--no-new-privs', '--'];
}

/** What a program expects to find in its environment about who runs it. */
export function userEnvironment(user: RunUser | null): Record<string, string> {
  return user === null ? {} : { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell };
}
