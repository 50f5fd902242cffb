// `npm start`: the reference backend, a conversation in front of you, the playground.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Backend, type BackendOptions, createBackend } from 'guru-comms/server'
import { type Args, readArgs, USAGE, UsageError } from './args.ts'
import { type Assistant, chooseAssistant } from './assistant.ts'
import { type Counts, converse } from './conversation.ts'
import { counting } from './counting.ts'
import { serveFiles } from './staticFiles.ts'
import { duration, Timeline } from './Timeline.ts'

const root = join(import.meta.dirname, '../../..')
const playground = join(root, 'apps/playground/dist')
/** Ports tried after the one that was asked for. */
const MORE_PORTS = 20
/** Nothing in the conversation takes so long; whoever waits for its end should not wait for ever. */
const LIMIT_MS = 300_000

/** Listens on the port, or on the next that is free. */
async function listen(options: BackendOptions & { port: number }): Promise<Backend> {
  for (let port = options.port; ; port += 1) {
    try {
      return await createBackend({ ...options, port })
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES') throw new UsageError(`this user may not listen on port ${port}: try --port 8000`)
      if (code !== 'EADDRINUSE' || port === 0) throw error
      if (port === Math.min(options.port + MORE_PORTS, 65_535)) {
        throw new UsageError(
          `the ports ${options.port} to ${port} are all taken: choose another with --port N`,
        )
      }
    }
  }
}

function showCounts(timeline: Timeline, counts: Counts): void {
  const { questions, answered, lost, duplicated, failed, outageMs } = counts
  timeline.counts([
    { count: questions, what: 'questions' },
    { count: answered, what: 'answered', good: answered === questions },
    ...(failed > 0 ? [{ count: failed, what: 'failed', good: false }] : []),
    { count: lost, what: 'lost', good: lost === 0 },
    { count: duplicated, what: 'duplicated', good: duplicated === 0 },
    { count: 1, what: `cut, back after ${duration(outageMs)}` },
  ])
}

async function main(args: Args): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const assistant = chooseAssistant(args, root)
  try {
    return await run(args, assistant, stop.signal)
  } finally {
    assistant.dispose()
  }
}

async function run(args: Args, assistant: Assistant, stopped: AbortSignal): Promise<number> {
  const timeline = new Timeline(process.stdout)
  const { responder, seen } = counting(assistant.responder)
  const built = existsSync(join(playground, 'index.html'))
  const backend = await listen({
    port: args.port,
    responder,
    models: [{ id: assistant.model, name: assistant.name }],
    faults: true,
    ...(built ? { onRequest: serveFiles(playground) } : {}),
  })
  const url = `http://localhost:${backend.port}`
  const moved = args.port !== 0 && backend.port !== args.port
  timeline.title('guru-comms', 'one resilient line between an app and its backend')
  timeline.fact('backend', url, moved ? `port ${args.port} is taken` : '')
  timeline.fact('assistant', assistant.name, assistant.note)
  timeline.plain()

  let counts: Counts
  try {
    const limit = AbortSignal.any([stopped, AbortSignal.timeout(LIMIT_MS)])
    counts = await converse(backend.port, seen, timeline, limit)
    showCounts(timeline, counts)
    if (!args.once && !stopped.aborted) {
      timeline.fact('playground', built ? url : 'not built: npm run build:all')
      timeline.fact('', 'Ctrl-C stops it')
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve()))
    }
  } catch (error) {
    if (!stopped.aborted) throw error
    timeline.plain('\n  stopped before the end of the conversation')
    return 130
  } finally {
    await backend.close()
  }
  if (!args.once) timeline.plain('\n  stopped')
  const { questions, answered, lost, duplicated } = counts
  return answered === questions && lost === 0 && duplicated === 0 ? 0 : 1
}

// Whoever reads us may have seen enough (`npm start | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  const args = readArgs(process.argv.slice(2))
  if (args.help) process.stdout.write(USAGE)
  else process.exitCode = await main(args)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
}
