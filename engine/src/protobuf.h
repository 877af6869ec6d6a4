/* Protocol buffer messages, of which ONNX files are made. */
#ifndef EDGE_LSTM_PROTOBUF_H
#define EDGE_LSTM_PROTOBUF_H

#include "slice.h"

enum { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };
enum { MAX_FIELD_NUMBER = 0x1FFFFFFF };
enum { VARINT_BITS = 70 }; /* of the longest varint, which has ten bytes of seven bits */
enum { MAX_FIELDS = 256 }; /* of a message; a model's have at most half as many */

/* A field of a message: the value of a varint, or the bytes of any other type. */
typedef struct {
    unsigned number;
    int is_bytes;
    uint64_t value;
    slice bytes;
} field;

/* Read a varint. Return whether there is a whole one. */
static int read_varint(slice *s, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < VARINT_BITS && s->at < s->end; shift += 7) {
        unsigned char byte = read_byte(s);
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return 1;
    }
    return 0;
}

/* Read the message's next field. Return 1, 0 at its end, or -1 if it is no message. */
static int next_field(slice *message, field *f) {
    uint64_t key;
    uint64_t size = 0;
    if (message->at == message->end)
        return 0;
    if (!read_varint(message, &key))
        return -1;
    uint64_t number = key >> 3;
    unsigned wire_type = key & 7;
    if (number == 0 || number > MAX_FIELD_NUMBER)
        return -1;
    f->number = (unsigned)number;
    f->is_bytes = wire_type != WIRE_VARINT;
    f->value = 0;
    f->bytes = (slice){message->at, message->at};
    if (wire_type == WIRE_VARINT)
        return read_varint(message, &f->value) ? 1 : -1;
    if (wire_type == WIRE_64_BITS) {
        size = 8;
    } else if (wire_type == WIRE_32_BITS) {
        size = 4;
    } else if (wire_type != WIRE_BYTES || !read_varint(message, &size)) {
        return -1;
    }
    if (size > slice_length(*message))
        return -1;
    f->bytes.at = message->at;
    message->at += size;
    f->bytes.end = message->at;
    return 1;
}

static int is_message(slice s) {
    field f;
    for (int count = 0; count <= MAX_FIELDS; count++) {
        int more = next_field(&s, &f);
        if (more <= 0)
            return more == 0;
    }
    return 0;
}

/* Return the bytes of the message's last field with this number. at is NULL if there is none. */
static slice find_bytes(slice message, unsigned number) {
    slice last = {NULL, NULL};
    field f;
    while (next_field(&message, &f) > 0) {
        if (f.number == number && f.is_bytes)
            last = f.bytes;
    }
    return last;
}

/* Return the message's last submessage with this number whose own field `name_number` is the
 * name. at is NULL if there is none. */
static slice find_submessage(slice message, unsigned number, unsigned name_number,
                             const char *name) {
    slice last = {NULL, NULL};
    field f;
    while (next_field(&message, &f) > 0) {
        if (f.number != number || !f.is_bytes)
            continue;
        if (slice_equals(find_bytes(f.bytes, name_number), name))
            last = f.bytes;
    }
    return last;
}

#endif
