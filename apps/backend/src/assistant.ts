// Which assistant answers: the offline one, or a model somewhere.

import type { Responder } from 'guru-comms/server'
import type { Args } from './args.ts'
import { DocsAssistant } from './docsAssistant.ts'
import { readSections } from './sections.ts'
import { UpstreamResponder } from './upstream.ts'

/** Between two words of the offline assistant, in milliseconds: fast, and still to be read along. */
const PACE_MS = 25

export interface Assistant {
  readonly responder: Responder
  /** Its id in `GET /v1/models`. */
  readonly model: string
  readonly name: string
  readonly note: string
  /** Gives up its connections. */
  readonly dispose: () => void
}

/** @param root the folder whose pages the offline assistant reads */
export function chooseAssistant({ upstream, model }: Args, root: string): Assistant {
  if (upstream !== undefined && model !== undefined) {
    const apiKey = process.env.OPENAI_API_KEY
    const responder = new UpstreamResponder({ baseURL: upstream, model, apiKey })
    const dispose = () => responder.dispose()
    return { responder, model, name: model, note: `at ${new URL(upstream).origin}`, dispose }
  }
  const sections = readSections(root)
  return {
    responder: new DocsAssistant({ sections, paceMs: PACE_MS }),
    model: 'offline-docs',
    name: 'offline',
    note: `answers from ${sections.length} sections of the docs`,
    dispose: () => {},
  }
}
