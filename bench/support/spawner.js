// What a user could write in place of a sidecar, to be forked: it starts a command as often as it is told, and reads what its
// children print. It takes `{ count }`, how many are to live, and sends it back once they do.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const [command] = process.argv.slice(2);
const children = new Set();

process.on('message', async ({ count }) => {
  while (children.size < count) {
    const child = spawn(command, ['-p', '--output-format=stream-json', '--verbose'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', () => undefined);
    await once(child, 'spawn');
  }
  process.send({ count });
});
