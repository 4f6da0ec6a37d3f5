/**
 * Makes a journal anew and is killed before one of its steps on the disk.
 *
 * Arguments: the journal, one with what it is to hold, how many steps to live for.
 */
import { type Disk, DISK } from '../journal/disk.js';
import { Journal } from '../journal/journal.js';
import { readJournal } from '../journal/read-journal.js';

const [path = '', source = '', steps = ''] = process.argv.slice(2);
let stepsLeft = Infinity;

/** Is killed in its place once all steps are taken. */
function step<R>(take: () => R): R {
  if (stepsLeft-- <= 0) process.kill(process.pid, 'SIGKILL');
  return take();
}

const disk: Disk = {
  ...DISK,
  create: (file) => step(() => DISK.create(file)),
  // So that it can be killed between two writes, too.
  write: (fd, bytes) => step(() => DISK.write(fd, bytes.subarray(0, 200))),
  syncNow: (fd) => step(() => DISK.syncNow(fd)),
  rename: (from, to) => step(() => DISK.rename(from, to)),
  syncFolder: (file) => step(() => DISK.syncFolder(file)),
};
const { records } = readJournal(source);
const [header] = records;
if (header?.is !== 'journal') throw new Error('it has no header');
const { journal } = Journal.open(path, header, { disk });
stepsLeft = Number(steps);
journal.rewrite(records);
process.stdout.write('rewritten');
