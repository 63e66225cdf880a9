// SPDX-License-Identifier: MIT
//
// Counts the nodes of a dataflow program, in JavaScript and without any package.
//
//     node count_nodes.mjs schema.binpb program.pb
//
// All it needs of fuseflow is the descriptor set that protoc makes of the schema. A descriptor set
// is a protobuf message itself, so the reader starts with the few fields of descriptors that it
// needs, and learns every other message from the set.

import { readFileSync } from "node:fs";

const MESSAGE = 11; // FieldDescriptorProto.Type.TYPE_MESSAGE
const REPEATED = 3; // FieldDescriptorProto.Label.LABEL_REPEATED
const STRING = 9; // FieldDescriptorProto.Type.TYPE_STRING

// Fields of descriptor.proto by number: [name, message type if it is one, is it repeated].
const DESCRIPTORS = {
  FileDescriptorSet: { 1: ["file", "FileDescriptorProto", true] },
  FileDescriptorProto: {
    2: ["package", "string", false],
    4: ["messages", "DescriptorProto", true],
  },
  DescriptorProto: {
    1: ["name", "string", false],
    2: ["fields", "FieldDescriptorProto", true],
    3: ["nested", "DescriptorProto", true],
  },
  FieldDescriptorProto: {
    1: ["name", "string", false],
    3: ["number", "", false],
    4: ["label", "", false],
    5: ["type", "", false],
    6: ["typeName", "string", false],
    9: ["oneof", "", false],
  },
};

/** Reads a base-128 number; those above 2^53 lose their last digits, which nothing here minds. */
function readVarint(bytes, place) {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    if (place.at >= bytes.length) throw new Error("the message is cut off");
    const byte = bytes[place.at++];
    value += (byte & 127) * factor;
    if (byte < 128) return value;
  }
}

/** Reads one field and returns its number and its raw value: a number, or a slice of the bytes. */
function readField(bytes, place) {
  const tag = readVarint(bytes, place);
  const kind = tag % 8;
  const number = (tag - kind) / 8;
  if (kind === 0) return [number, readVarint(bytes, place)];
  const length = kind === 2 ? readVarint(bytes, place) : kind === 1 ? 8 : 4;
  const start = place.at;
  place.at += length;
  if (place.at > bytes.length) throw new Error("the message is cut off");
  return [number, bytes.subarray(start, place.at)];
}

/** Reads a message as an object; fields that `schema` does not know are left out. */
function readMessage(schema, type, bytes) {
  const message = {};
  const place = { at: 0 };
  while (place.at < bytes.length) {
    const [number, raw] = readField(bytes, place);
    const field = schema[type][number];
    if (field === undefined) continue;
    const [name, inner, repeated] = field;
    let value = raw;
    if (inner === "string") value = new TextDecoder().decode(raw);
    else if (inner) value = readMessage(schema, inner, raw);
    if (repeated) (message[name] ??= []).push(value);
    else message[name] = value;
  }
  return message;
}

/** Adds a message type of a descriptor set, and those within it, to a schema. */
function learn(schema, prefix, descriptor) {
  const full = `${prefix}.${descriptor.name}`;
  schema[full] = {};
  for (const field of descriptor.fields ?? []) {
    const inner =
      field.type === MESSAGE ? field.typeName : field.type === STRING ? "string" : "";
    const isChoice = field.oneof !== undefined;
    schema[full][field.number] = [field.name, inner, field.label === REPEATED, isChoice];
  }
  for (const nested of descriptor.nested ?? []) learn(schema, full, nested);
}

/** Returns the schema of a descriptor set, by full names with a dot in front. */
function readSchema(bytes) {
  const schema = {};
  for (const file of readMessage(DESCRIPTORS, "FileDescriptorSet", bytes).file) {
    for (const message of file.messages ?? []) learn(schema, `.${file.package}`, message);
  }
  return schema;
}

const [schemaFile, programFile] = process.argv.slice(2);
const schema = readSchema(readFileSync(schemaFile));
const root = ".fuseflow.v1.DataflowProgram";
const program = readMessage(schema, root, readFileSync(programFile));
// What a node does is the one field of its oneof that is set.
const choices = Object.values(schema[".fuseflow.v1.DataflowNode"]).filter((field) => field[3]);
const ops = new Set(choices.map(([name]) => name));
console.log(`program ${program.name}`);
for (const kernel of program.kernels ?? []) {
  const counts = {};
  for (const node of kernel.nodes ?? []) {
    const op = Object.keys(node).find((name) => ops.has(name));
    counts[op] = (counts[op] ?? 0) + 1;
  }
  console.log(`kernel ${kernel.name}: ${(kernel.nodes ?? []).length} nodes`);
  for (const op of Object.keys(counts).sort()) console.log(`  ${op} ${counts[op]}`);
}
