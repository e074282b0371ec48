/** Weight files in other formats: recognised by name or first bytes, and refused with a sentence that says how to convert. */
import { basename } from 'node:path'
import { InputError } from '../util/errors.ts'

/** Short enough to be shown whole on a terminal of 80 columns: it is there to be copied. */
const convertPickle =
  'convert it: python -c "import torch, safetensors.torch as s; ' +
  "s.save_file({k: v.contiguous().clone() for k, v in torch.load('FILE', 'cpu', weights_only=True).items()}, 'model.safetensors')\""

interface Format {
  name: string
  ending: RegExp
  /** How a file's content begins, in lower case. */
  marks: string[]
  help: string
}

const formats: Format[] = [
  {
    name: 'a Git LFS pointer, not the weights themselves',
    ending: /$^/,
    marks: ['version https://git-lfs'],
    help: 'fetch the file itself: git lfs pull',
  },
  {
    name: 'a web page, not weights',
    ending: /$^/,
    marks: ['<!doctype', '<html', '<?xml'],
    help: 'the download saved an error or login page: fetch the file again',
  },
  {
    name: 'a pickle file (it can run code)',
    ending: /\.(bin|pt|pth|ckpt|pkl|pickle)$/i,
    marks: ['pk\x03\x04', '\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'],
    help: convertPickle,
  },
  {
    name: 'a GGUF file (quantised for llama.cpp)',
    ending: /\.(gguf|ggml)$/i,
    marks: ['gguf', 'ggml', 'lmgg', 'tjgg', 'fmgg'],
    help: 'use the original safetensors checkpoint that it was made from',
  },
  {
    name: 'a TensorFlow or Keras file',
    ending: /\.(h5|hdf5|keras|pb)$/i,
    marks: ['\x89hdf'],
    help: "convert it: python -c \"from transformers import AutoModel; AutoModel.from_pretrained('FOLDER', from_tf=True).save_pretrained('OUT')\"",
  },
  {
    name: 'a Flax file',
    ending: /\.msgpack$/i,
    marks: [],
    help: "convert it: python -c \"from transformers import AutoModel; AutoModel.from_pretrained('FOLDER', from_flax=True).save_pretrained('OUT')\"",
  },
  {
    name: 'an ONNX file (a graph, not a checkpoint)',
    ending: /\.(onnx|ort)$/i,
    marks: [],
    help: 'use the safetensors checkpoint that it was exported from',
  },
  {
    name: 'a NumPy file',
    ending: /\.(npy|npz)$/i,
    marks: ['\x93numpy'],
    help: "convert it: python -c \"import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load('FILE')), 'model.safetensors')\"",
  },
]

function refusal(format: Format, file: string): InputError {
  return new InputError('CHECKPOINT_FORMAT', `Expected safetensors, received ${format.name}`, {
    where: { file },
    help: format.help.replace('FILE', () => basename(file)),
    data: { format: format.name },
  })
}

/** The refusal for a file whose name is that of another weight format, or undefined. */
export function foreignByName(file: string): InputError | undefined {
  const format = formats.find(({ ending }) => ending.test(basename(file)))
  return format && !/^training_args\.bin$|^(optimizer|scheduler|rng_state.*)\.(bin|pt|pth)$/.test(basename(file))
    ? refusal(format, file)
    : undefined
}

/** The refusal for a file that begins with the marks of another weight format, or undefined. */
export function foreignByContent(start: Uint8Array, file: string): InputError | undefined {
  const text = String.fromCharCode(...start.subarray(0, 64))
    .trimStart()
    .toLowerCase()
  const format = formats.find(({ marks }) => marks.some((mark) => text.startsWith(mark)))
  return format && refusal(format, file)
}
