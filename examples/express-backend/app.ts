import express, { type Express } from 'express';
import { answerFaults } from './errors.js';
import { eventsRoute, type EventsOptions } from './events.js';
import { type Outcomes } from './outcomes.js';
import { taskRoutes } from './tasks.js';

/** No prompt is longer. */
const BODY_MAX = '1mb';

export interface AppOptions extends EventsOptions {
  readonly outcomes: Outcomes;
  readonly isReady: () => boolean;
}

export function createApp({ outcomes, isReady, ...options }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', (_request, response) => void response.json({ ok: true }));
  app.get('/readyz', (_request, response) => {
    const ready = isReady();
    response.status(ready ? 200 : 503).json({ ready });
  });
  app.use('/tasks', express.json({ limit: BODY_MAX }));
  app.get('/tasks/:id/events', eventsRoute(options));
  app.use('/tasks', taskRoutes({ fleet: options.fleet, outcomes }));
  app.use((_request, response) => {
    response.status(404).json({ error: { code: 'not_found', message: 'there is nothing here' } });
  });
  app.use(answerFaults(options.logger));
  return app;
}
