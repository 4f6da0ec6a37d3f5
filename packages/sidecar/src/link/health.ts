import { type RequestListener } from 'node:http';
import { type Supervisor } from '../supervision/supervisor.js';

/** `GET /healthz`: the process lives. `GET /readyz`: it would admit a dispatch, a free slot aside. No token needed. */
export function healthHandler(supervisor: Supervisor): RequestListener {
  return (request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(405, { error: 'only GET' });
      return;
    }
    switch (request.url) {
      case '/healthz':
        answer(200, { status: 'ok', agentId: supervisor.agentId, counts: supervisor.counts() });
        break;
      case '/readyz': {
        const { problem } = supervisor;
        answer(problem === null ? 200 : 503, { ready: problem === null, ...(problem === null ? {} : { problem }) });
        break;
      }
      default:
        answer(404, { error: 'there are /healthz and /readyz; the protocol is a WebSocket at /' });
    }
  };
}
