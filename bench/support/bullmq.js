// Runs the command as a job of BullMQ for each message, and sends the message back when the job has completed; to be forked.
import { Queue, QueueEvents, Worker } from 'bullmq';
import { runBare } from './run-bare.ts';

const [url, command, concurrency] = process.argv.slice(2);
const connection = { url, maxRetriesPerRequest: null };

const queue = new Queue('bench', { connection });
const events = new QueueEvents('bench', { connection });
new Worker('bench', () => runBare(command), { connection, concurrency: Number(concurrency) });
events.on('completed', ({ jobId }) => process.send(jobId));
await events.waitUntilReady();
process.on('message', (jobId) => void queue.add('run', {}, { jobId, removeOnComplete: true }));
process.send('ready');
