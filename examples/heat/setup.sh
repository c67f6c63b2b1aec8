#!/bin/sh
echo "set up by the template"
