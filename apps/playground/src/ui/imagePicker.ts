// An image to go with a question: chosen, dropped or pasted, shown, taken away again.

import { formatBytes } from '../model/format.ts'
import { h } from './dom.ts'
import { icon } from './icons.ts'

const TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp']
/** What the endpoint takes, decoded. */
const MAX_BYTES = 10 * 1024 * 1024

export class ImagePicker {
  readonly button: HTMLElement
  readonly preview = h('div', { class: 'preview', hidden: true })
  readonly input: HTMLInputElement
  readonly #onProblem: (problem: string) => void
  readonly #onChange: () => void
  #url: string | undefined

  constructor(onProblem: (problem: string) => void, onChange: () => void) {
    this.#onProblem = onProblem
    this.#onChange = onChange
    this.input = h('input', {
      type: 'file',
      accept: TYPES.join(),
      hidden: true,
      onchange: () => {
        const file = this.input.files?.[0]
        if (file) void this.take(file)
        // So that the same file can be chosen again.
        this.input.value = ''
      },
    })
    this.button = h(
      'button',
      {
        type: 'button',
        class: 'tool',
        title: 'Add an image',
        'aria-label': 'Add an image',
        onclick: () => this.input.click(),
      },
      icon('image'),
    )
  }

  /** A `data:` URL. */
  get url(): string | undefined {
    return this.#url
  }

  /** Whether it takes what was dropped or pasted. */
  takeFrom(transfer: DataTransfer | null): boolean {
    const file = [...(transfer?.files ?? [])].find(({ type }) => type.startsWith('image/'))
    if (file) void this.take(file)
    return file !== undefined
  }

  async take(file: File): Promise<void> {
    if (!TYPES.includes(file.type)) {
      this.#onProblem(`${file.name} is no PNG, JPEG, GIF or WebP.`)
      return
    }
    if (file.size > MAX_BYTES) {
      this.#onProblem(`${file.name} has ${formatBytes(file.size)}. An image may have 10 MB.`)
      return
    }
    const url = await readAsDataUrl(file).catch(() => undefined)
    if (url === undefined) {
      this.#onProblem(`${file.name} cannot be read.`)
      return
    }
    this.#onProblem('')
    this.#url = url
    this.preview.replaceChildren(
      h('img', { src: url, alt: '' }),
      h('span', { class: 'preview-name' }, file.name),
      h('span', { class: 'preview-size' }, formatBytes(file.size)),
      h(
        'button',
        {
          type: 'button',
          class: 'tool',
          title: 'Remove',
          'aria-label': `Remove ${file.name}`,
          onclick: () => this.clear(),
        },
        icon('remove'),
      ),
    )
    this.preview.hidden = false
    this.#onChange()
  }

  clear(): void {
    this.#url = undefined
    this.preview.hidden = true
    this.preview.replaceChildren()
    this.#onChange()
  }
}

function readAsDataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result as string)
    reader.onerror = () => reject(reader.error)
    reader.readAsDataURL(file)
  })
}
