// `npm start`: the reference backend, a conversation in front of you, the playground.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Backend, type BackendOptions, createBackend, type Responder } from 'guru-comms/server'
import { type Args, readArgs, USAGE, UsageError } from './args.ts'
import { type Counts, converse, counting } from './conversation.ts'
import { DocsAssistant } from './docsAssistant.ts'
import { readSections } from './sections.ts'
import { serveFiles } from './staticFiles.ts'
import { Timeline } from './Timeline.ts'
import { UpstreamResponder } from './upstream.ts'

const root = join(import.meta.dirname, '../../..')
const playground = join(root, 'apps/playground/dist')
/** Ports tried after the one that was asked for. */
const MORE_PORTS = 20

function chooseResponder(args: Args): { responder: Responder; name: string; note: string; model: string } {
  if (args.upstream !== undefined && args.model !== undefined) {
    const responder = new UpstreamResponder({
      baseURL: args.upstream,
      model: args.model,
      apiKey: process.env.OPENAI_API_KEY,
    })
    return { responder, name: args.model, note: `at ${new URL(args.upstream).origin}`, model: args.model }
  }
  const sections = readSections(root)
  const responder = new DocsAssistant({ sections, paceMs: 12 })
  return {
    responder,
    name: 'offline',
    note: `answers from ${sections.length} sections of the docs`,
    model: 'offline-docs',
  }
}

/** Listens on the port, or on the next that is free. */
async function listen(options: BackendOptions & { port: number }): Promise<Backend> {
  for (let port = options.port; ; port += 1) {
    try {
      return await createBackend({ ...options, port })
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (!taken || port === 0 || port >= options.port + MORE_PORTS) throw error
    }
  }
}

function showCounts(timeline: Timeline, counts: Counts): void {
  timeline.plain()
  timeline.rule()
  timeline.counts([
    { count: counts.questions, what: 'questions' },
    { count: counts.answered, what: 'answered', bad: counts.answered < counts.questions },
    { count: counts.lost, what: 'lost', bad: counts.lost > 0 },
    { count: counts.duplicated, what: 'duplicated', bad: counts.duplicated > 0 },
    { count: counts.cuts, what: `cut, back after ${(counts.outageMs / 1000).toFixed(2)} s` },
  ])
}

async function main(args: Args): Promise<number> {
  const timeline = new Timeline(process.stdout)
  const { responder, name, note, model } = chooseResponder(args)
  const { responder: counted, seen } = counting(responder)
  const backend = await listen({
    port: args.port,
    responder: counted,
    models: [{ id: model, name }],
    faults: true,
    ...(existsSync(playground) ? { onRequest: serveFiles(playground) } : {}),
  })
  const url = `http://localhost:${backend.port}`
  timeline.title('guru-comms', 'one resilient line between an app and its backend')
  timeline.fact('backend', url)
  timeline.fact('assistant', name, note)
  timeline.plain()

  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const interrupted = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))

  let counts: Counts | undefined
  try {
    counts = await Promise.race([converse(backend.port, seen, timeline), interrupted.then(() => undefined)])
    if (counts) showCounts(timeline, counts)
    if (counts && !args.once) {
      timeline.plain()
      timeline.fact(
        'playground',
        existsSync(playground) ? url : 'not built: npm run build -w apps/playground',
      )
      timeline.fact('', 'Ctrl-C stops it')
      timeline.plain()
      await interrupted
    }
  } finally {
    await backend.close()
  }
  return counts && counts.lost === 0 && counts.duplicated === 0 ? 0 : stop.signal.aborted ? 130 : 1
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
