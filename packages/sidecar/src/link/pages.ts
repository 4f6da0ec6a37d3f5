import { type RequestListener, type ServerResponse } from 'node:http';
import { type Logger } from 'pino';
import { type MetricsPage } from '../metrics/metrics.js';
import { type Supervisor } from '../supervision/supervisor.js';

/**
 * The pages for operators. `GET /healthz`: the process lives. `GET /readyz`: it would admit a dispatch, a free slot aside.
 * `GET /metrics`: how it does, for Prometheus. No token is needed: whoever scrapes must not be able to dispatch.
 *
 * @param metrics Null: there is no such page.
 */
export function pagesHandler(supervisor: Supervisor, metrics: MetricsPage | null, logger: Logger): RequestListener {
  const known = ['/healthz', '/readyz', ...(metrics === null ? [] : ['/metrics'])];
  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, { error: 'only GET' });
      return;
    }
    if (request.url === '/metrics' && metrics !== null) {
      void answerMetrics(response, metrics, logger);
      return;
    }
    switch (request.url) {
      case '/healthz':
        answer(response, 200, { status: 'ok', agentId: supervisor.agentId, counts: supervisor.counts() });
        break;
      case '/readyz': {
        const { problem } = supervisor;
        const isReady = problem === null;
        answer(response, isReady ? 200 : 503, { ready: isReady, ...(isReady ? {} : { problem }) });
        break;
      }
      default:
        answer(response, 404, { error: `there are ${known.join(', ')}; the protocol is a WebSocket at /` });
    }
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

async function answerMetrics(response: ServerResponse, metrics: MetricsPage, logger: Logger): Promise<void> {
  try {
    const text = await metrics.render();
    response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
  } catch (error) {
    logger.error({ err: error }, 'the metrics cannot be told');
    answer(response, 500, { error: 'the metrics cannot be told; the log has the cause' });
  }
}
