// What stands on the command line.

import { parseArgs } from 'node:util'

export interface Args {
  /** Exit after the conversation. */
  readonly once: boolean
  readonly port: number
  /** An OpenAI-compatible server to ask instead of the docs. */
  readonly upstream: string | undefined
  readonly model: string | undefined
  readonly help: boolean
}

export const USAGE = `npm start -- [options]

  --once            exit after the conversation: status 0 only if nothing was lost
  --port N          listen on port N (default 8000, or the next free one)
  --upstream URL    ask an OpenAI-compatible server (Ollama, vLLM, llama.cpp, ...)
  --model NAME      the model to ask it for; needs --upstream
  --help            this page

OPENAI_API_KEY, when set, is sent to the upstream as its bearer token.
`

/** What is wrong with the command line, in words for whoever typed it. */
export class UsageError extends Error {}

/** @throws UsageError */
export function readArgs(argv: readonly string[]): Args {
  let values: { once?: boolean; port?: string; upstream?: string; model?: string; help?: boolean }
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        once: { type: 'boolean' },
        port: { type: 'string' },
        upstream: { type: 'string' },
        model: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const { port = '8000', upstream } = values
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new UsageError(`--port must be a whole number from 0 to 65535, got "${port}"`)
  }
  if (upstream !== undefined && !isHttpBase(upstream)) {
    throw new UsageError(`--upstream must be a URL such as http://localhost:11434/v1, got "${upstream}"`)
  }
  if ((values.upstream === undefined) !== (values.model === undefined)) {
    throw new UsageError('--upstream and --model go together')
  }
  return {
    once: values.once ?? false,
    port: Number(port),
    upstream,
    model: values.model,
    help: values.help ?? false,
  }
}

/** Whether paths can be put under it. */
function isHttpBase(text: string): boolean {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return false
  const { search, hash } = new URL(text)
  return search === '' && hash === ''
}
