// The session, as a thread: it goes on while the line above it is down, and ends only where it is lost. The ticks on it say
// when the other side has acknowledged something.

import { formatAge } from '../model/format.ts'
import { type Recording, type SessionName, type Vitals, WINDOW_MS } from '../model/vitals.ts'
import { box, Lane, round, type Scale } from './lane.ts'

const HEIGHT = 26
const THREAD = 5
const TICK = 6
const MOODS: Readonly<Record<SessionName, string>> = { none: '', open: 'open', kept: 'held', lost: 'waiting' }

export class SessionLane extends Lane {
  readonly #recording: Recording

  constructor(recording: Recording) {
    super('Session', HEIGHT)
    this.#recording = recording
  }

  draw({ now, session }: Vitals, { x }: Scale): void {
    const { state } = session
    this.read(state === 'none' ? '–' : state, note(session, now), MOODS[state])
    const paths = { open: '', kept: '', lost: '' }
    const top = (HEIGHT - THREAD) / 2
    for (const span of this.#recording.session.spans(now)) {
      const name = span.state as keyof typeof paths
      const left = x(span.from)
      // Lost and opened anew within milliseconds: that deserves more than a mark.
      if (name === 'lost') paths.lost += box(left, 2, Math.max(2, x(span.to) - left), HEIGHT - 4)
      else paths[name] += box(left, top, x(span.to) - left, THREAD)
    }
    for (const [name, path] of Object.entries(paths)) this.trace(name, path)
    const acks = this.#recording.acks.within(now)
    this.trace('ack', acks.map(({ at }) => `M${round(x(at))} ${top - TICK}v${TICK}`).join(''))
  }
}

function note({ ackedAt, loss }: Vitals['session'], now: number): string {
  if (loss && now - loss.at < WINDOW_MS) {
    const doubt = loss.inDoubt > 0 ? ` · ${loss.inDoubt} in doubt` : ''
    return `lost ${formatAge(now - loss.at)} ago${doubt}`
  }
  return ackedAt === undefined ? 'no ack yet' : `ack ${formatAge(now - ackedAt)} ago`
}
