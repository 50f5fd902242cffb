// Puts the page together: chat on the left, the line's health on the right, one frame loop for the instruments.

import { Line, WINDOW_MS } from './line.ts'
import { Chat } from './ui/chat.ts'
import { Composer } from './ui/composer.ts'
import { h, setText } from './ui/dom.ts'
import { faultButtons } from './ui/faults.ts'
import { themeButton } from './ui/theme.ts'
import { Timeline } from './ui/timeline.ts'
import { Instruments, panel } from './ui/vitals.ts'

/** Instruments are read so often; a state that changes is drawn at once. */
const REFRESH_MS = 200

const line = new Line(window.location)
const { connection } = line.endpoint

const chat = new Chat(
  ({ text, image }) => line.ask(text, image),
  () => connection.connectionState === 'open',
)
const composer = new Composer({
  send: (question) => chat.send(question),
  stop: () => chat.stop(),
  audio: (samples) => line.endpoint.streamAudio(samples),
})
chat.onBusy = (busy) => composer.setBusy(busy)
connection.on('open', () => chat.flushed())

const chip = h(
  'button',
  {
    type: 'button',
    class: 'chip',
    'aria-expanded': 'false',
    'aria-controls': 'health',
    onclick: () => toggleHealth(),
  },
  h('span', { class: 'dot' }),
  h('span', { class: 'chip-text' }),
)
const chipText = chip.querySelector('.chip-text') as HTMLElement
const doing = h('span', { class: 'doing' })

const pulse = h('input', { type: 'checkbox', checked: true, onchange: () => line.setPulse(pulse.checked) })
const tools = h(
  'div',
  { class: 'tools' },
  h('label', {}, pulse, ' one a second'),
  h(
    'button',
    {
      type: 'button',
      onclick: () => {
        for (let request = 0; request < 40; request += 1) void line.request()
      },
    },
    '40 at once',
  ),
)
const timeline = new Timeline(line.history, WINDOW_MS)
const instruments = new Instruments(tools)

const health = h(
  'aside',
  { class: 'health', id: 'health', 'aria-label': 'Health of the line' },
  panel('The line', timeline.element),
  panel(
    'Hurt it',
    faultButtons((fault) => line.setFaults(fault)),
  ),
  instruments.element,
)

function toggleHealth(): void {
  const open = health.classList.toggle('open')
  chip.setAttribute('aria-expanded', String(open))
}

document
  .getElementById('app')
  ?.append(
    h(
      'header',
      {},
      h('img', { src: '/line.svg', alt: '', width: 28, height: 28 }),
      h('h1', {}, 'guru-comms', h('span', {}, ' playground')),
      doing,
      chip,
      themeButton(),
    ),
    h(
      'main',
      {},
      h('section', { class: 'chat', 'aria-label': 'Chat' }, chat.element, composer.element),
      health,
    ),
  )

function draw(): void {
  const vitals = line.read()
  const { state, status, nextAttemptMs, attempts } = vitals
  document.body.dataset.state = state
  const countdown = nextAttemptMs === undefined ? '' : ` ${(nextAttemptMs / 1000).toFixed(1)} s`
  setText(
    chipText,
    state === 'waiting'
      ? `waiting${countdown}`
      : state === 'connecting' && attempts > 0
        ? `connecting, attempt ${attempts}`
        : state,
  )
  setText(doing, ['listening', 'thinking', 'speaking'].includes(status) ? status : '')
  timeline.draw(performance.now())
  instruments.draw(vitals, line.log)
}

line.onChange = draw
line.setPulse(true)
setInterval(draw, REFRESH_MS)
draw()
composer.focus()
