"""Tencent's own client of CMQ against our test server: both sign methods, POST and GET, and the codes that it must understand.

    cmq_sdk.py ENDPOINT QUEUE SECRET_ID SECRET_KEY

Prints a line for each thing that it saw. Every message is deleted in the end."""

import sys

from cmq.account import Account
from cmq.cmq_exception import CMQServerException
from cmq.queue import Message

endpoint, name, secret_id, secret_key = sys.argv[1:]


def queue(method="POST", sign="sha256", key=secret_key, name=name):
    account = Account(endpoint, secret_id, key)
    account.set_sign(sign)
    account.cmq_client.set_method(method)
    return account.get_queue(name)


def code(call, *arguments):
    try:
        call(*arguments)
    except CMQServerException as error:
        return error.code
    return 0


BODY = "{\"a\":\"é & = + % @\"}\n"

for method in ("POST", "GET"):
    for sign in ("sha1", "sha256"):
        one = queue(method, sign)
        sent = one.send_message(Message(BODY))
        received = one.receive_message(0)
        same = sent.msgId == received.msgId and received.msgBody == BODY
        print(method, sign, "one message:", same, received.dequeueCount, received.nextVisibleTime - received.enqueueTime)
        print(method, sign, "again while hidden:", code(one.receive_message, 0))
        print(method, sign, "deleted:", code(one.delete_message, received.receiptHandle))
        print(method, sign, "deleted again:", code(one.delete_message, received.receiptHandle))

        one.batch_send_message([Message("message %d" % number) for number in range(16)])
        batch = one.batch_receive_message(16, 0)
        handles = [message.receiptHandle for message in batch]
        print(method, sign, "batch:", sorted(message.msgBody for message in batch)[:2], len(batch), len(set(handles)))
        print(method, sign, "batch deleted:", code(one.batch_delete_message, handles[:10]))
        print(method, sign, "partly deleted before:", code(one.batch_delete_message, handles[8:]))
        print(method, sign, "all deleted before:", code(one.batch_delete_message, handles))
        print(method, sign, "none left:", code(one.batch_receive_message, 16, 0))

print("too many at once:", code(queue().batch_receive_message, 17, 0))
print("wrong key:", code(queue(key="wrong").receive_message, 0))
print("no such queue:", code(queue(name="missing").receive_message, 0))
