"""The results database: the only folder that imports SQLAlchemy.

What others use is `store.Store`, opened by `store.open_store`: its own methods write, those of `answers` read. Below it,
a module is a subject, and its functions work inside one `transaction.Transaction`:

sweeps, jobs, labels (notes and tags), orders, generations, imported     what people and turns write
collect, book, problems                                                  what event files say, and what is wrong in them
usage, nodes, measured                                                   what was used, where it went badly, what was measured
reading, standings                                                       what a decision reads, and what the last turn left
watched, happened, selector                                              counts and pages for the live screen and the history
query                                                                    SQL that people ask, named or their own
connect, refusals, connected, transaction                                how a database is opened, and what it says
tables, views, migrate                                                   its schema; rows are the values that go in and out
maintain, copying                                                        check and backup; from one database to another
"""
